package image

import (
	"context"
	"maps"
	"sync"
)

// use keeps cleaning up from removing an image that somebody is about to run. A build whose
// content was built before ends with the id of that older image, which may be without a name, and
// so up for removal, until that very moment; so nothing is removed while an image is being made,
// and afterwards not what a task has in its hands.
type use struct {
	mu      sync.Mutex
	making  int           // look-ups, pulls and builds in progress
	clean   chan struct{} // closed when the cleaning in progress is done; nil when there is none
	owed    bool          // cleaning was wanted while something was being made
	holders map[string]int
}

// make begins a look-up, a pull or a build. It waits while images are being removed.
func (u *use) make(ctx context.Context) error {
	for {
		u.mu.Lock()
		clean := u.clean
		if clean == nil {
			u.making++
			u.mu.Unlock()
			return nil
		}
		u.mu.Unlock()
		select {
		case <-clean:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// made ends what make began. The image, if there is one, is kept until release is called with it.
// owed says that a cleaning which had to wait can go on now.
func (u *use) made(image string) (owed bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.making--
	if image != "" {
		if u.holders == nil {
			u.holders = map[string]int{}
		}
		u.holders[image]++
	}
	owed = u.owed && u.making == 0
	u.owed = u.owed && !owed
	return owed
}

// release lets go of an image that made kept.
func (u *use) release(image string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.holders[image]--; u.holders[image] <= 0 {
		delete(u.holders, image)
	}
}

// beginCleaning returns the images that must stay, and keeps new ones from being made until
// endCleaning. ok is false when something is being made or cleaned now: then a later made, or the
// end of that cleaning, reports it as owed.
func (u *use) beginCleaning() (kept map[string]int, ok bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.making > 0 || u.clean != nil {
		u.owed = true
		return nil, false
	}
	u.clean = make(chan struct{})
	return maps.Clone(u.holders), true
}

// endCleaning says whether another cleaning was wanted meanwhile, which may find more.
func (u *use) endCleaning() (owed bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	close(u.clean)
	u.clean = nil
	owed = u.owed && u.making == 0
	u.owed = u.owed && !owed
	return owed
}
