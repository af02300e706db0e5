package container

import "github.com/compose-spec/compose-go/v2/types"

// App is what a runtime must know of the project around a container. Nobody writes to it.
type App struct {
	Name     string
	Dir      string   // of the project, absolute
	Files    []string // its Compose files, absolute
	EnvFiles []string // the .env files that were named, absolute

	Networks map[string]types.NetworkConfig // by key in the file; Name is the runtime's
	Volumes  map[string]types.VolumeConfig
	Secrets  map[string]types.SecretConfig
	Configs  map[string]types.ConfigObjConfig

	Environment types.Mapping       // that secrets and configs may take their contents from
	Services    map[string]*Service // the enabled ones
}

// Service is the service that a container is made for.
type Service struct {
	Name      string
	Config    types.ServiceConfig                // its environment resolved
	DependsOn map[string]types.ServiceDependency // enabled services only
	Image     string                             // name to run
	Replicas  int
}

// CreateSpec says which container to make.
type CreateSpec struct {
	App     *App
	Service *Service
	Replica int
	Name    string // "" means the final name
	Image   Image  // as Image returned it
	Inherit string // id of the container whose anonymous volumes are taken over, or ""
	// Hash is the hash of the service's configuration, with the ids of Parents in the place of their names.
	Hash string
	// Content is a hash of what the container gets by content (secrets, configs); it is kept with
	// the container as a label.
	Content string
	// Parents are the container ids of the services that network_mode, ipc, pid and volumes_from name.
	Parents map[string]string
}

// NetworkSpec says which network to make.
type NetworkSpec struct {
	Project string
	Key     string // in the Compose file
	Config  types.NetworkConfig
	Hash    string // of Config, kept with the network
}

// VolumeSpec says which volume to make.
type VolumeSpec struct {
	Project string
	Key     string // in the Compose file
	Config  types.VolumeConfig
	Hash    string // of Config, kept with the volume
}
