package watch

// kernel is the facility of the system that tells of changes. One goroutine,
// the keeper's, calls add, remove and flush.
type kernel interface {
	// add asks for notices of what happens in a folder from now on, and remove
	// ends that. There may be notices of other folders too; the keeper drops them.
	add(dir string) error
	remove(dir string) error
	// flush carries out what add and remove may put off. Notices count from
	// add all the same. An error means that none come any more, of no folder.
	flush() error
	// read posts the notices and does nothing else, so that it is never the
	// reason for lost ones. It ends when the kernel is closed.
	read(in *inbox) error
	close() error
	// trees says that a folder is reported with all that is below it.
	trees() bool
}
