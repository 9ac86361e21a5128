"""The parts of the stand-in for Glacier that `glacier_upload.rehearsal` puts together."""
