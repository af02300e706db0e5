package plan

import (
	"fmt"
	"time"

	"bulkhead/engine/container"
	"bulkhead/engine/project"
)

// BuildPolicy says when up builds.
type BuildPolicy uint8

const (
	BuildMissing BuildPolicy = iota // when the image is missing or older than its files
	BuildAlways                     // --build
	BuildNever                      // --no-build
)

// ImageSeen is what is known of the image of a service, and what asks for another one.
type ImageSeen struct {
	Service *project.Service
	Have    *container.Image // nil: it is not there
	// of the same name for another platform than the service's; nil: none, or not looked for
	Other   *container.Image
	Maker   string      // the service whose build makes it, where this one only names it; "" when there is none
	Beside  bool        // the Maker is not enabled: it builds when the image is missing, or when all is built
	Asked   string      // why somebody wants it built; "" when nobody does
	First   bool        // it is for the first up
	Policy  BuildPolicy // of the first up
	Watched bool        // changes of the service's files are carried out without being asked
	Changed string      // why it is older than its files; looked for only where ByFiles says so
	Now     time.Time
}

// ByFiles says whether the decision depends on what changed on disk since the image was built.
func (i *ImageSeen) ByFiles() bool {
	return i.Service.Built && i.Asked == "" && i.Have != nil && i.First && i.Watched &&
		i.Policy == BuildMissing &&
		i.Service.Config.PullPolicy != "build"
}

// DecideImage says what becomes of a service's image: Build, Await, Pull or Keep. The error says why there is
// none, and what to do about it.
func DecideImage(i ImageSeen) (Step, error) {
	s := Step{Service: i.Service.Name, Op: Keep}
	switch {
	case i.Service.Built:
		return decideBuild(s, i)
	case i.Maker == "":
	case i.Beside && i.Have != nil && (!i.First || i.Policy != BuildAlways):
		return s, nil
	case !i.Beside || i.Policy != BuildNever:
		s.Op, s.Reason = Await, i.Maker+" builds it"
		return s, nil
	}
	return decidePull(s, i)
}

func decideBuild(s Step, i ImageSeen) (Step, error) {
	pullPolicy := i.Service.Config.PullPolicy
	switch {
	case i.Asked != "":
		s.Reason = i.Asked
	case i.First && i.Policy == BuildAlways:
		s.Reason = "--build"
	case i.Have == nil && i.Policy == BuildNever:
		err := fmt.Errorf("create %s: image %s is not there and --no-build was given", i.Service.Name,
			i.Service.Image)
		err = container.Naming(i.Service.Name, err)
		return s, container.WithRemedy(err, "run `bulkhead rebuild %s`", i.Service.Name)
	case i.Have == nil:
		s.Reason = "no image"
	case i.First && i.Policy != BuildNever && pullPolicy == "build":
		s.Reason = "pull_policy: build"
	case i.ByFiles():
		s.Reason = i.Changed
	}
	if s.Reason != "" {
		s.Op = Build
	}
	return s, nil
}

// decidePull applies a service's pull_policy.
func decidePull(s Step, i ImageSeen) (Step, error) {
	policy := i.Service.Config.PullPolicy
	switch {
	case i.Have == nil && policy == "never" && i.Other != nil:
		err := fmt.Errorf("create %s: image %s is there for %s/%s and not for %s, and its pull_policy is never",
			i.Service.Name, i.Service.Image, i.Other.OS, i.Other.Arch, i.Service.Config.Platform)
		err = container.Naming(i.Service.Name, err)
		return s, container.WithRemedy(err, "load that, or change platform: or the policy")
	case i.Have == nil && policy == "never":
		err := fmt.Errorf("create %s: image %s is not there and its pull_policy is never",
			i.Service.Name, i.Service.Image)
		err = container.Naming(i.Service.Name, err)
		return s, container.WithRemedy(err, "load it, or change the policy")
	case i.Have == nil:
		s.Op, s.Reason = Pull, "no image"
		return s, nil
	case !i.First:
		return s, nil
	case policy == "always":
		s.Op, s.Reason = Pull, "pull_policy: always"
		return s, nil
	}
	_, every, err := i.Service.Config.GetPullPolicy()
	if err != nil {
		return s, container.WrapErr(err, "pull %s", i.Service.Name)
	}
	if every > 0 && i.Now.Sub(i.Have.LastTag) > every {
		s.Op, s.Reason = Pull, "pull_policy: "+policy
	}
	return s, nil
}

// ResourceSeen is what is known of a network or a volume that a service uses.
type ResourceSeen struct {
	Service string
	Name    string // "network front", "volume data"
	Found   container.Found
}

// DecideResource says what becomes of a network or a volume: Create, Recreate or Keep, or Remove of a second
// one that has its name.
func DecideResource(r ResourceSeen) Step {
	s := Step{Service: r.Service, Resource: r.Name, Op: Keep}
	switch {
	case !r.Found.There:
		s.Op, s.Reason = Create, "not there"
	case r.Found.Outdated:
		s.Op, s.Reason = Recreate, "configuration changed"
	case r.Found.Doubled:
		s.Op, s.Reason = Remove, "a second one has its name"
	}
	return s
}

// PrepareSeen is what is known of a service's host command, and what asks for it.
type PrepareSeen struct {
	Service *project.Service
	Asked   string // why it has to run whatever is there; "" when nothing asks for it
	First   bool   // it is for the first up, which runs it where what it makes is old or missing
	Ran     bool   // it has succeeded before, as far as that is known
	Changed bool   // what it depends on is not as it was then
	Missing string // a path that the service's rules name and that is not there; "" when all are
}

// DecidePrepare says whether a service's host command runs before its image is made: Prepare or Keep.
func DecidePrepare(p PrepareSeen) Step {
	s := Step{Service: p.Service.Name, Op: Keep}
	switch {
	case p.Service.Extra.Prepare == nil:
		return s
	case p.Asked != "":
		s.Reason = p.Asked
	case !p.First:
		return s
	case !p.Ran:
		s.Reason = "it has not run yet"
	case p.Changed:
		s.Reason = "what it watches changed"
	case p.Missing != "":
		s.Reason = p.Missing + " is not there"
	default:
		return s
	}
	s.Op = Prepare
	return s
}
