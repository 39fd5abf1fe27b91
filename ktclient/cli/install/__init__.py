"""What `ktserver install` needs: what is meant, what is printed, the process that installs."""
