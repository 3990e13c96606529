"""How generations are judged: seamless prediction of full frames, and metrics."""
