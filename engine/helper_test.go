package engine

import (
	"github.com/compose-spec/compose-go/v2/types"

	"bulkhead/engine/project"
)

type composeService = types.ServiceConfig

func testService(f func(*composeService)) *project.Service {
	c := types.ServiceConfig{Name: "web"}
	f(&c)
	return &project.Service{Name: "web", Config: c, Replicas: 1}
}
