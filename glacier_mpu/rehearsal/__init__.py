"""A strict stand-in for Amazon Glacier on 127.0.0.1. It shares no code with the uploader."""
