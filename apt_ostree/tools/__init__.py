"""One module per program, one function per subcommand; typed in, model out; no policy, no printing."""
