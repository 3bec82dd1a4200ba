"""Taking the log's checkpoints to where others hold them: files, folders under git, HTTP targets, witnesses."""
