"""Commands about one episode: what is said of it, and how it is shown."""
