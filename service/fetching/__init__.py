"""The parts of fetching for scripts; `service.fetch` puts them together."""
