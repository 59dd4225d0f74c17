"""Changes of another commit in the running system: /usr is switched, /etc follows, services are named."""
