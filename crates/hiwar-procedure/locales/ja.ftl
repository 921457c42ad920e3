# Keep the messages in the order of en.ftl.
