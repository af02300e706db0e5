// Package filesync keeps the files that a service's sync rules name equal in
// its containers. It owns what is where: manifests of what containers and
// images hold, the comparison with the disk, the tar streams and deletions that
// follow from it, and the fingerprints of what images and prepare commands were
// made from. It never builds, restarts or marks anything, and knows no lane:
// what could not be copied comes back as a value. The engine's lanes call it,
// for one container at a time; it works through the port's FileWriter and
// FileReader, and keeps its tables in the journal.
package filesync
