"""What Headpond needs from the outside, as short Protocols; adapters fulfil them."""
