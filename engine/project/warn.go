package project

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/compose-spec/compose-go/v2/loader"
	"github.com/compose-spec/compose-go/v2/tree"
	"github.com/compose-spec/compose-go/v2/types"
)

// warner collects what a person should know of a project that has loaded.
type warner struct {
	p        *Project
	sources  *sources
	findings []loader.UnsupportedAttribute // by compose-go
}

// warnings returns what is not carried out of what the loaded services use, and what compose-go logged, each with its
// place.
func (w *warner) warnings(logged []string) []Warning {
	var all []Warning
	for _, f := range w.findings {
		if warning, ok := w.notCarried(f.Path); ok && !slices.Contains(all, warning) {
			all = append(all, warning)
		}
	}
	for _, f := range w.sources.files {
		for _, doc := range f.docs {
			if key, _ := pair(doc, "version"); key != nil {
				all = append(all, Warning{Place: w.sources.show(place{f, key.Line}), Attribute: "version",
					Text: "version is obsolete and has no effect; remove it"})
			}
		}
	}
	for _, s := range w.p.Services {
		all = append(all, w.deadRules(s)...)
		all = append(all, w.relativeTargets(s)...)
		all = append(all, w.fileModes(s)...)
		all = append(all, w.restartPolicy(s)...)
		all = append(all, w.lostNumbers(s)...)
	}
	unset := regexp.MustCompile(`^The "(.+)" variable is not set`)
	for _, line := range logged {
		if m := unset.FindStringSubmatch(line); m != nil {
			at := w.sources.findText("${"+m[1]+"}", "$"+m[1], "${"+m[1])
			all = append(all, Warning{Place: w.sources.show(at),
				Text: fmt.Sprintf(
					"variable %s is not set, so it is empty; set it in the environment or in .env, or write ${%s:-}", m[1], m[1])})
			continue
		}
		if !strings.Contains(line, "attribute `version` is obsolete") {
			all = append(all, Warning{Text: line})
		}
	}
	return all
}

// notCarried makes a warning of an attribute that compose-go found and bulkhead does not carry out; no when nothing
// that is loaded uses it.
func (w *warner) notCarried(path tree.Path) (Warning, bool) {
	var parts []string
	for _, part := range path.Parts() {
		parts = append(parts, strings.ReplaceAll(part, "👻", ".")) // compose-go's escape for a dot in a name
	}
	// mappings whose keys are the user's own have no paths in the schema, so compose-go finds what is in them
	if reasonFor(path) == "" && len(parts) > 3 {
		return Warning{}, false
	}
	warning := Warning{Attribute: strings.Join(parts, ".")}
	if len(parts) > 1 {
		used := true
		switch parts[0] {
		case "services":
			warning.Service = parts[1]
			used = w.p.Service(parts[1]) != nil
		case "secrets":
			_, used = w.p.Secrets[parts[1]]
		case "configs":
			_, used = w.p.Configs[parts[1]]
		}
		if !used {
			return warning, false
		}
	}
	warning.Place = w.sources.show(w.sources.find(slices.DeleteFunc(parts, func(s string) bool {
		return s == tree.PathMatchList
	})...))
	warning.Attribute = strings.TrimSuffix(warning.Attribute, "."+tree.PathMatchList)
	warning.Text = warning.Attribute + " is not carried out"
	if reason := reasonFor(path); reason != "" {
		warning.Text += ": " + reason
	}
	return warning, true
}

// relativeTargets warns of targets that are no absolute paths.
func (w *warner) relativeTargets(s *Service) []Warning {
	var all []Warning
	if s.Config.Develop == nil {
		return nil
	}
	for i, t := range s.Config.Develop.Watch {
		if t.Target == "" || strings.HasPrefix(t.Target, "/") {
			continue
		}
		at := []string{"services", s.Name, "develop", "watch", fmt.Sprint(i), "target"}
		all = append(all, Warning{Place: w.sources.show(w.sources.find(at...)), Service: s.Name,
			Attribute: strings.Join(at, "."),
			Text: fmt.Sprintf(
				"the target %s is taken from the root folder, and not from working_dir; write %s",
				t.Target, s.Rules[i].Target)})
	}
	return all
}

// restartPolicy warns of a policy that no engine knows: what needs no new container goes on without it.
func (w *warner) restartPolicy(s *Service) []Warning {
	policies := []string{"no", "always", "on-failure", "unless-stopped"}
	policy, retries, limited := strings.Cut(s.Config.Restart, ":")
	_, err := strconv.Atoi(retries)
	text := ""
	switch {
	case s.Config.Restart == "":
		return nil
	case !slices.Contains(policies, policy):
		text = orNearest(policy, policies,
			"write one of no, always, on-failure, on-failure:3, unless-stopped") + "; the engine refuses it"
	case limited && policy != "on-failure":
		text = "only on-failure takes a number; the engine refuses it"
	case limited && err != nil:
		text = "its number is not one, so it starts again without a limit; write on-failure:3"
	default:
		return nil
	}
	at := []string{"services", s.Name, "restart"}
	return []Warning{{Place: w.sources.show(w.sources.find(at...)), Service: s.Name,
		Attribute: strings.Join(at, "."),
		Text:      fmt.Sprintf("restart %s is not known: %s", s.Config.Restart, text)}}
}

// fileModes warns of an owner or a mode for a secret or config that is a file: it is mounted as it is on the host.
func (w *warner) fileModes(s *Service) []Warning {
	var all []Warning
	check := func(kind string, i int, ref types.FileReferenceConfig, file string) {
		var has []string
		for _, x := range []struct {
			key string
			set bool
		}{{"uid", ref.UID != ""}, {"gid", ref.GID != ""}, {"mode", ref.Mode != nil}} {
			if x.set {
				has = append(has, x.key)
			}
		}
		if len(has) == 0 || file == "" {
			return
		}
		at := []string{"services", s.Name, kind + "s", fmt.Sprint(i)}
		all = append(all, Warning{Place: w.sources.show(w.sources.find(at...)), Service: s.Name,
			Attribute: strings.Join(at, "."),
			Text: fmt.Sprintf(
				"the %s of %s %s cannot be applied, because the file is mounted as it is on the host; change the file, or give the %s by environment or content",
				strings.Join(has, ", "), kind, ref.Source, kind)})
	}
	for i, ref := range s.Config.Secrets {
		check("secret", i, types.FileReferenceConfig(ref), w.p.Secrets[ref.Source].File)
	}
	for i, ref := range s.Config.Configs {
		check("config", i, types.FileReferenceConfig(ref), w.p.Configs[ref.Source].File)
	}
	return all
}

// deadRules warns of rules that never match because .dockerignore hides all they could match.
func (w *warner) deadRules(s *Service) []Warning {
	var all []Warning
	for i := range s.Rules {
		r := &s.Rules[i]
		if r.Default || r.filter.always[r.Path] || !r.filter.context.covers(r.Path) {
			continue
		}
		at := w.sources.find("services", s.Name, "develop", "watch", fmt.Sprint(i))
		path := inside(w.sources.dir, r.Path)
		all = append(all, Warning{Place: w.sources.show(at), Service: s.Name,
			Attribute: fmt.Sprintf("services.%s.develop.watch.%d", s.Name, i),
			Text: fmt.Sprintf(
				"this rule never applies, because .dockerignore has %s; add !%s to it", path, path)})
	}
	return all
}
