"""All tests, by floor of test: unit, property, conformance, tidy. They may import everything; nobody imports them."""
