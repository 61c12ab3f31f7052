"""Images: samples and cohorts, how their files are read, and images simulated with known truth."""
