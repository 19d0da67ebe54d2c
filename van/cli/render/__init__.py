"""How values look: tables, drawings, and numbers as people read them."""
