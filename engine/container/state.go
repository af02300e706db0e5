package container

// State is where a service or a replica is in its life. A replica moves Waiting -> (Building) ->
// Created -> Starting -> Running -> Stopping -> Exited, and from any state to Broken; a service
// shows the least healthy state of its replicas.
type State uint8

const (
	StateUnknown  State = iota
	StateWaiting        // for an image, a dependency, or its turn
	StateBuilding       // no container yet, its image is being pulled or built
	StateCreated
	StateStarting // started, and not ready yet
	StateRunning
	StateStopping
	StateRestarting // between two lives by the restart policy
	StatePaused
	StateExited
	StateBroken   // the last attempt did not succeed; Err says why
	StateCrashing // its restart policy starts it again and again, and it ends soon each time
)

var stateNames = [...]string{"unknown", "waiting", "building", "created", "starting", "running",
	"stopping", "restarting", "paused", "exited", "broken", "crashing"}

// String returns the word that the screen and the JSON use.
func (s State) String() string {
	if int(s) < len(stateNames) {
		return stateNames[s]
	}
	return stateNames[0]
}

// TakesSignals says whether a container in this state has a process that a signal can be sent to.
func (s State) TakesSignals() bool {
	return s == StateRunning || s == StatePaused || s == StateStopping
}

// Health is what the healthcheck says.
type Health uint8

const (
	HealthUnknown Health = iota
	HealthNone           // no healthcheck
	HealthStarting
	Healthy
	Unhealthy
)

var healthNames = [...]string{"unknown", "none", "starting", "healthy", "unhealthy"}

// badness puts them in order: what has no healthcheck says nothing of those that have one.
var badness = [...]int{HealthUnknown: 0, HealthNone: 1, Healthy: 2, HealthStarting: 3, Unhealthy: 4}

// Worse returns the worse of two.
func (h Health) Worse(o Health) Health {
	if badness[o] > badness[h] {
		return o
	}
	return h
}

// String returns the word that the screen and the JSON use.
func (h Health) String() string {
	if int(h) < len(healthNames) {
		return healthNames[h]
	}
	return healthNames[0]
}
