"""What policies are worth outside log investigation: on tables with costs, and where the optimum is known."""
