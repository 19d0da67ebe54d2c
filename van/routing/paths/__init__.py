"""What follows from the database: paths, forwarding tables, trees."""
