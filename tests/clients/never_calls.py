"""Makes no request and exits 0. Caught by `script_played` and `met_the_limit`: who never met
the fault has shown nothing. Also by `calls` and `requests`."""
