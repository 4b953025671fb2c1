"""The tests mirror the packages; their own tools are imported from here, as tests.NAME."""
