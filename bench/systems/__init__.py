"""The systems that are measured. A module here with SYSTEMS is all that a new one takes."""
