"""The cases. Each module measures one thing; ALL says in which order, and what `bench/run --case` calls them."""
