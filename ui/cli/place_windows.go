package cli

// closable says that a folder can be closed to others by its mode. Here modes say nothing, and the
// temporary folder is the user's own.
const closable = false

// processExists is not known here: a holder counts as alive.
func processExists(int) bool { return true }
