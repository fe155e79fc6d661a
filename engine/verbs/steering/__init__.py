"""How what is asked for comes: attributes told or steered to, and measured; styles, also of one's own."""
