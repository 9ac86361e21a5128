"""A strict stand-in for Amazon Glacier on 127.0.0.1; shares nothing with the uploader."""
