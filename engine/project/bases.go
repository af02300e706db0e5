package project

import (
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/compose-spec/compose-go/v2/types"
	"github.com/distribution/reference"

	"bulkhead/engine/hostfile"
)

// maxDockerfile is what is read of a Dockerfile to see what it begins with; BuildKit reads no more of one.
const maxDockerfile = 1 << 20

// Maker is the service that builds the image of a name, nil when none does. What is enabled comes before
// what is only built.
func (p *Project) Maker(image string) *Service { return makerIn(image, p.Services, p.BuildOnly) }

func makerIn(image string, groups ...[]*Service) *Service {
	name := imageName(image)
	for _, s := range slices.Concat(groups...) {
		if s.Built && (imageName(s.Image) == name || slices.ContainsFunc(s.Config.Build.Tags,
			func(tag string) bool { return imageName(tag) == name })) {
			return s
		}
	}
	return nil
}

// imageName is a name of an image as an engine has it, so that x and docker.io/library/x:latest are one.
func imageName(image string) string {
	ref, err := reference.ParseDockerRef(image)
	if err != nil {
		return image
	}
	return ref.String()
}

// ImageTag is a name of an image as engines list it: "app" is app:latest.
func ImageTag(image string) string {
	ref, err := reference.ParseDockerRef(image)
	if err != nil {
		return image
	}
	return reference.FamiliarString(ref)
}

// Bases are the other services whose images the build of one begins with or copies from, sorted: named by
// additional_contexts, or by the Dockerfile as it is now. Those that begin with its own are left out, since
// neither could be built first.
func (p *Project) Bases(s *Service) []*Service {
	var out []*Service
	for _, b := range p.basesOf(s) {
		if !p.reaches(b, s, map[string]bool{}) {
			out = append(out, b)
		}
	}
	return out
}

// reaches says whether the build of a service needs that of another one before.
func (p *Project) reaches(from, to *Service, seen map[string]bool) bool {
	if from.Name == to.Name {
		return true
	}
	if seen[from.Name] {
		return false
	}
	seen[from.Name] = true
	return slices.ContainsFunc(p.basesOf(from), func(b *Service) bool { return p.reaches(b, to, seen) })
}

func (p *Project) basesOf(s *Service) []*Service {
	if !s.Built {
		return nil
	}
	var out []*Service
	add := func(b *Service) {
		if b != nil && b.BuildKey != s.BuildKey && !slices.Contains(out, b) {
			out = append(out, b)
		}
	}
	for _, where := range s.Config.Build.AdditionalContexts {
		if name, ok := strings.CutPrefix(where, types.ServicePrefix); ok {
			for _, o := range slices.Concat(p.Services, p.BuildOnly) {
				if o.Name == name {
					add(o)
				}
			}
		}
	}
	for _, image := range s.baseImages(p.Compose.Environment) {
		add(p.Maker(image))
	}
	slices.SortFunc(out, func(a, b *Service) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// baseImages are the names of the images that a service's Dockerfile begins with or copies from, for the stage
// that is built. What cannot be read begins with nothing: the build says what is wrong with it.
func (s *Service) baseImages(env types.Mapping) []string {
	b := s.Config.Build
	text := b.DockerfileInline
	if file := s.Dockerfile(); text == "" && filepath.IsAbs(file) {
		content, err := hostfile.Read(file, maxDockerfile)
		if err != nil {
			return nil
		}
		text = string(content)
	}
	args := map[string]string{}
	for k, v := range b.Args {
		if v != nil {
			args[k] = *v
		} else if v, ok := env[k]; ok {
			args[k] = v
		}
	}
	d := dockerfile{args: maps.Clone(args), given: args}
	d.read(text)
	return slices.DeleteFunc(d.images(b.Target), func(image string) bool {
		_, named := b.AdditionalContexts[image] // which has its place
		return named
	})
}

// dockerfile is what a Dockerfile says about where its stages begin.
type dockerfile struct {
	args   map[string]string // as they are before the first FROM
	given  map[string]string // by the Compose file
	stages []stage
}

type stage struct {
	name string   // lower case; "" without one
	from []string // names of images and of stages before it
}

var (
	fromFlag     = regexp.MustCompile(`(?:^|\s)--(?:from=|mount=\S*\bfrom=)([^\s,]+)`)
	escapeLine   = regexp.MustCompile("^#\\s*escape\\s*=\\s*([`\\\\])\\s*$")
	argReference = regexp.MustCompile(`\$(?:(\w+)|\{(\w+)(?:(:?[-+])([^}]*))?\})`)
)

// read takes in the instructions that name images. It looks for no here-documents: their lines may look like
// instructions, but name no image that a service builds.
func (d *dockerfile) read(text string) {
	escape, open := `\`, ""
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if m := escapeLine.FindStringSubmatch(line); m != nil && len(d.stages) == 0 {
			escape = m[1]
		}
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if rest, goesOn := strings.CutSuffix(line, escape); goesOn {
			open += rest + " "
			continue
		}
		d.instruction(open + line)
		open = ""
	}
	d.instruction(open)
}

func (d *dockerfile) instruction(line string) {
	words := strings.Fields(line)
	if len(words) < 2 {
		return
	}
	switch strings.ToUpper(words[0]) {
	case "ARG":
		for _, w := range words[1:] {
			name, value, set := strings.Cut(w, "=")
			if _, given := d.given[name]; len(d.stages) == 0 && set && !given {
				d.args[name] = d.expand(strings.Trim(value, `"'`))
			}
		}
	case "FROM":
		words = slices.DeleteFunc(words[1:], func(w string) bool { return strings.HasPrefix(w, "--") })
		if len(words) == 0 {
			return
		}
		s := stage{from: []string{d.expand(words[0])}}
		if len(words) == 3 && strings.EqualFold(words[1], "as") {
			s.name = strings.ToLower(words[2])
		}
		d.stages = append(d.stages, s)
	case "COPY", "ADD", "RUN":
		if len(d.stages) == 0 {
			return
		}
		at := &d.stages[len(d.stages)-1]
		for _, m := range fromFlag.FindAllStringSubmatch(line, -1) {
			at.from = append(at.from, d.expand(m[1]))
		}
	}
}

// expand fills in arguments as ${NAME}, ${NAME:-default} and ${NAME:+instead}.
func (d *dockerfile) expand(text string) string {
	return argReference.ReplaceAllStringFunc(text, func(ref string) string {
		m := argReference.FindStringSubmatch(ref)
		value, set := d.args[m[1]+m[2]]
		if strings.HasPrefix(m[3], ":") {
			set = value != ""
		}
		switch {
		case strings.HasSuffix(m[3], "-") && !set:
			return m[4]
		case strings.HasSuffix(m[3], "+") && set:
			return m[4]
		case strings.HasSuffix(m[3], "+"):
			return ""
		}
		return value
	})
}

// images are the names that a stage, "" for the last, needs and that are not stages themselves.
func (d *dockerfile) images(target string) []string {
	at := len(d.stages) - 1
	if target != "" {
		at = d.stage(target, len(d.stages))
	}
	var out []string
	seen := map[int]bool{}
	var need func(i int)
	need = func(i int) {
		if i < 0 || seen[i] {
			return
		}
		seen[i] = true
		for _, from := range d.stages[i].from {
			if j := d.stage(from, i); j >= 0 {
				need(j)
			} else if from != "scratch" && from != "" {
				out = append(out, from)
			}
		}
	}
	need(at)
	return out
}

// stage finds a stage before another one by its name or number; -1 when there is none.
func (d *dockerfile) stage(name string, before int) int {
	if n, err := strconv.Atoi(name); err == nil && n >= 0 && n < before {
		return n
	}
	for i := before - 1; i >= 0; i-- {
		if d.stages[i].name != "" && d.stages[i].name == strings.ToLower(name) {
			return i
		}
	}
	return -1
}
