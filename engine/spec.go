package engine

import (
	"bulkhead/engine/step"
)

// App is a project as a runtime sees it, and Wanted a service.
var (
	App    = step.App
	Wanted = step.Wanted
)
