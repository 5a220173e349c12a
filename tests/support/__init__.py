"""What tests share: builders of studies, processes to drive, servers, documents to read."""
