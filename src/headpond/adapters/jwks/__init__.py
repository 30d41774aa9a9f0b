"""JSON Web Key Sets from a file or from an identity provider's URL."""
