"""The commands of `micronet`, one file per subject."""
