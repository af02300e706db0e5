package container

import (
	"cmp"
	"strconv"
	"strings"

	"github.com/compose-spec/compose-go/v2/types"
)

// App is what a runtime must know of the project around a container. Nobody writes to it.
type App struct {
	Name string
	// Separator stands between the parts of a container's name; "" is "-".
	Separator string
	Dir       string   // of the project, absolute
	Files     []string // its Compose files, absolute
	EnvFiles  []string // the .env files that were named, absolute

	Networks map[string]types.NetworkConfig // by key in the file; Name is the runtime's
	Volumes  map[string]types.VolumeConfig
	Secrets  map[string]types.SecretConfig
	Configs  map[string]types.ConfigObjConfig

	Environment types.Mapping       // that secrets and configs may take their contents from
	Services    map[string]*Service // the enabled ones
}

// ContainerName is the final name of a replica of a service that has no container_name.
func (a *App) ContainerName(service string, replica int) string {
	sep := cmp.Or(a.Separator, "-")
	return a.Name + sep + service + sep + strconv.Itoa(replica)
}

// FinalName is what the container of the spec is called once it has no other's place to take.
func (c *CreateSpec) FinalName() string {
	if name := c.Service.Config.ContainerName; name != "" {
		return name
	}
	return c.App.ContainerName(c.Service.Name, c.Replica)
}

// HookName is the name of the container of one of a service's hooks.
func (a *App) HookName(service, kind string, index int) string {
	return strings.Join([]string{a.Name, service, kind, strconv.Itoa(index)}, cmp.Or(a.Separator, "-"))
}

// Service is the service that a container is made for.
type Service struct {
	Name      string
	Config    types.ServiceConfig                // its environment resolved
	DependsOn map[string]types.ServiceDependency // enabled services only
	Image     string                             // name to run
	Replicas  int
	// VolumeImages says which images it mounts, "target=digest,…"; "" for none.
	VolumeImages string
	// Program has the agent as process 1, where the runtime can, so that the program can be restarted
	// alone; see ProgramRestarter.
	Program bool
}

// CreateSpec says which container to make.
type CreateSpec struct {
	App     *App
	Service *Service
	Replica int
	Name    string // "" means the final name
	Image   Image  // as Image returned it
	Inherit string // id of the container whose anonymous volumes are taken over, or ""
	Fresh   bool   // none are: Inherit stays empty in the place of another container too
	// Hash is the hash of the service's configuration, with the ids of Parents in the place of their names.
	Hash string
	// Content is a hash of what the container gets by content (secrets, configs); it is kept with
	// the container as a label.
	Content string
	// Parents are the container ids of the services that network_mode, ipc, pid and volumes_from name.
	Parents map[string]string
	// Beside is set for a container that is none of the service's own; Replica is 0 then.
	Beside *Beside
}

// Found is what a runtime has of a network or a volume.
type Found struct {
	There    bool
	ID       string // of a network that is there
	Outdated bool   // it is not as the file has it, and is made again
	Doubled  bool   // the runtime has a second one of the name, which EnsureNetwork removes
}

// NetworkSpec says which network to make.
type NetworkSpec struct {
	Project string
	Key     string // in the Compose file
	Config  types.NetworkConfig
	Hash    string // of Config, kept with the network
	// Outside are services of the project that are left alone: while one has a container on it, a network is
	// not made again.
	Outside []string
	// Moving is called for each running container that is stopped, moved over and started again because
	// a network that diverged is made again; it may be nil.
	Moving func(service, id string)
}

// VolumeSpec says which volume to make.
type VolumeSpec struct {
	Project string
	Key     string // in the Compose file
	Config  types.VolumeConfig
	Hash    string // of Config, kept with the volume
}
