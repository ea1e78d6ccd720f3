"""The git hook that `make hooks` installs: what `make test-fast` runs, on what is staged."""
