"""Long work: kept in the database, done by workers in processes of their own, resumed if lost."""
