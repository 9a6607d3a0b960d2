"""MLPerf's scenarios: its load generator drives an artifact."""
