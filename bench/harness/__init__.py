"""What every section of the bench stands on."""
