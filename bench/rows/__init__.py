"""What is measured. A module here with ROWS is all that a new row takes."""
