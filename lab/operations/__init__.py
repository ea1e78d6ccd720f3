"""Commands on a living lab, one file each."""
