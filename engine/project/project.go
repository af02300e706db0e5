// Package project turns Compose files into a project: which services run, from which images, with which rules for
// changed files, and what in the files is not carried out. compose-go does the loading, so that every feature of the
// format and every config hash is as docker compose has it; this package adds places, remedies and x-bulkhead.
//
// It knows no container engine and writes nothing: not to a terminal, not to disk.
package project

import (
	"fmt"
	"io"
	"slices"

	"github.com/compose-spec/compose-go/v2/types"
)

// Options say what to load. The zero value loads what `docker compose` would load in the current folder.
type Options struct {
	// Files are Compose files, merged in order; "-" is Stdin. Empty: COMPOSE_FILE, else compose.yaml (or its other
	// names) and its override file, looked for in Dir or the current folder and then in the folders above.
	Files    []string
	EnvFiles []string // instead of .env in the project folder; empty: COMPOSE_ENV_FILES, else .env
	Profiles []string // empty: COMPOSE_PROFILES
	// project name; empty: COMPOSE_PROJECT_NAME, else `name:` of the files, else the folder's name
	Name  string
	Dir   string // project folder; empty: the folder of the first file
	Stdin io.Reader
	// enabled with all they depend on, whatever their profiles; empty: all that the profiles enable
	Services []string
	NoDeps   bool           // Services alone, without what they depend on
	Scale    map[string]int // replicas by service, over what the files say
	Pull     string         // pull_policy of all services; empty: their own
	// "KEY=value" for interpolation and COMPOSE_* settings; nil: the environment of the process
	Env []string
	// EnvOptional is for what makes no containers: an env_file that is missing or broken is not an error,
	// and Service.EnvErr of its service has it.
	EnvOptional bool

	All bool // keep networks, volumes, secrets and configs that no service uses
	// Compatible separates the parts of names by _ in the place of -, as docker-compose 1 did.
	Compatible bool
	// Typed keeps what Stdin, and pipes among Files and EnvFiles, held, which can be read only
	// once. Share one among loads of the same files; nil: each load reads for itself.
	Typed *Typed
	// Slow is called once when a load takes longer than two seconds, with what it waits for: a
	// path, "standard input", or "" when that is not known. It may be nil.
	Slow func(what string)
}

// Project is one loaded Compose application. Nobody writes to it after Load (and Inherit) returned
// it, so it may be shared.
type Project struct {
	Name string
	// Separator stands between the parts of the names of containers and images: - or _.
	Separator string
	Dir       string // absolute
	// absolute, "-" for stdin: as in the config_files label, so without compose.bulkhead.yaml
	Files []string
	// EnvFiles are the files named by Options.EnvFiles or COMPOSE_ENV_FILES, absolute: as in the environment_file label.
	// A .env that was found by itself is not among them.
	EnvFiles []string
	// Inputs are the files whose change may change the project, absolute and sorted: Compose files, compose.bulkhead.yaml,
	// included and extended files, .env, env_file, label_file, .dockerignore. Those that are looked for but do not exist
	// are listed too, because making one is a change.
	Inputs     []string
	Profiles   []string   // the active ones
	Services   []*Service // the enabled ones, sorted by name
	BuildOnly  []*Service // not enabled, but one that is needs their image; sorted by name, never run
	Disabled   []string   // disabled by their profiles, sorted
	Unselected []string   // enabled by the profiles, but not asked for by Options.Services, sorted

	Networks map[string]types.NetworkConfig // only those in use, by key; Name is the engine's name; also below
	Volumes  map[string]types.VolumeConfig
	Secrets  map[string]types.SecretConfig
	Configs  map[string]types.ConfigObjConfig

	Compose  *types.Project // everything merged, with compose.bulkhead.yaml
	Warnings []Warning
}

// Service is one enabled service.
type Service struct {
	Name   string
	Config types.ServiceConfig `text:"lines"` // environment resolved, compose.bulkhead.yaml merged
	// EnvErr is why its env_file could not be read, an error of Load; set only with Options.EnvOptional.
	// Config has its environment as it is written then, and Hash is not docker compose's.
	EnvErr error
	// Bare is Config without compose.bulkhead.yaml. Hash it with ServiceHash once its `service:` references are
	// replaced by container ids; the result equals the config-hash label that docker compose would write.
	Bare     types.ServiceConfig `text:"lines"`
	Hash     string              // ServiceHash(Bare): equals `docker compose config --hash`
	Replicas int                 // 0 or more
	// enabled services only: an optional one that is disabled is left out
	DependsOn map[string]types.ServiceDependency
	Image     string // name to run: `image:` or <project>-<service>
	Extra     Extra
	// develop.watch, or the default rules; empty for a service without both build and develop.watch
	Rules    []Rule
	Built    bool   // has `build:`
	BuildKey string // equal for services with the same build; "" when not Built
	// VolumeImages says which images it mounts, as docker compose labels a container with it; set by WithImages.
	VolumeImages string
	Place        string // "compose.yaml:12", file relative to the project folder; "" when unknown

	// Emptied are the targets of volumes that a driver mounts as a tmpfs: they are there while the
	// container runs, and empty at each start.
	Emptied []string

	Dir string            // the project folder, links resolved; see Reach
	Led map[string]string // where the paths of rules, contexts and prepare led to when the project was loaded

	// Labelled: no file describes it, it is known by its containers alone. They are used as they are.
	Labelled bool

	HostCommands []HostCommand // what it runs on this machine
}

// Unfiled is a project of which only the name is known.
func Unfiled(name string) *Project {
	return &Project{Name: name, Compose: &types.Project{Name: name}}
}

// Watched says whether files of it are watched.
func (p *Project) Watched() bool {
	return slices.ContainsFunc(p.Services, func(s *Service) bool { return len(s.Rules) > 0 })
}

// Provided says whether a program on this machine, and no container, is what the service stands for.
func (s *Service) Provided() bool { return s.Config.Provider != nil }

// Service returns the enabled service of that name, nil if there is none.
func (p *Project) Service(name string) *Service {
	i, ok := slices.BinarySearchFunc(p.Services, name, func(s *Service, n string) int {
		if s.Name < n {
			return -1
		}
		if s.Name > n {
			return 1
		}
		return 0
	})
	if !ok {
		return nil
	}
	return p.Services[i]
}

// Order returns the services in levels: those of level 0 depend on nothing, those of level n only
// on levels below n, and on at least one of level n-1. Names are sorted within a level. Load
// refuses cycles, so every service is in it once.
func (p *Project) Order() [][]string {
	level := map[string]int{}
	var depth func(name string) int
	depth = func(name string) int {
		if d, ok := level[name]; ok {
			return d
		}
		d := 0
		for dep := range p.Service(name).DependsOn {
			d = max(d, depth(dep)+1)
		}
		level[name] = d
		return d
	}
	var order [][]string
	for _, s := range p.Services {
		d := depth(s.Name)
		for len(order) <= d {
			order = append(order, nil)
		}
		order[d] = append(order[d], s.Name)
	}
	return order
}

// YAML returns the merged project as a Compose file. Contents of secrets are not in it.
func (p *Project) YAML() ([]byte, error) {
	b, err := p.Compose.MarshalYAML()
	if err != nil {
		return nil, fmt.Errorf("write project %s as yaml: %w", p.Name, err)
	}
	return b, nil
}

// JSON is YAML in JSON.
func (p *Project) JSON() ([]byte, error) {
	b, err := p.Compose.MarshalJSON()
	if err != nil {
		return nil, fmt.Errorf("write project %s as json: %w", p.Name, err)
	}
	return b, nil
}

// Warning is something in the files that has no effect here, or not the one its writer may expect.
type Warning struct {
	Place     string // "compose.yaml:12"; "" when unknown
	Service   string // "" when it concerns no single service
	Attribute string // as in "services.web.provider"; "" when it concerns none
	Text      string // one line, without the place
}

func (w Warning) String() string {
	if w.Place == "" {
		return w.Text
	}
	return w.Place + ": " + w.Text
}

// LoadError is a project that does not load because of what a person wrote.
type LoadError struct {
	File    string // relative to the current folder when inside it; "" when no file is at fault
	Line    int    // 0: unknown
	Problem string
	Remedy  string // what to write instead
	Err     error  // what compose-go said; may be nil

	unset string // the variable that Problem says is not set; "" for none
}

// Suggestion returns the remedy.
func (e *LoadError) Suggestion() string { return e.Remedy }

// Explain returns the error without the remedy, and the remedy.
func (e *LoadError) Explain() (text, remedy string) {
	text = quoted(e.Problem)
	switch {
	case e.File == "":
	case e.Line == 0:
		text = e.File + ": " + text
	default:
		text = fmt.Sprintf("%s:%d: %s", e.File, e.Line, text)
	}
	return text, e.Remedy
}

// Error returns one line: file:line: problem; remedy.
func (e *LoadError) Error() string {
	text, remedy := e.Explain()
	if remedy != "" {
		text += "; " + quoted(remedy)
	}
	return text
}

func (e *LoadError) Unwrap() error { return e.Err }
