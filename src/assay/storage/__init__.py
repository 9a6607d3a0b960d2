"""Files that assay keeps: records in their envelopes, arrays, locks."""
