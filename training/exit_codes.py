"""What a training script returns to the shell."""

EXIT_FINISHED, EXIT_INPUT, EXIT_DIVERGED, EXIT_WORKER_LOST, EXIT_INTERRUPTED = 0, 2, 3, 4, 130
