"""Vector indexes: they nominate what may be nearest; the rows of the database stay the truth and give the scores."""
