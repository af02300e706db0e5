package watch

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Operation is what git did while a batch was held back for it. It is made of
// the files in the git folder alone: no git program is asked. The zero value
// says that nothing is known to have moved.
type Operation struct {
	Name string // "git checkout", "git rebase"; "git" for a command of a name unknown here
	// From and To are HEAD before and after: a branch, or the first seven
	// digits of a commit. Both are empty when HEAD did not move.
	From, To string
}

// String returns the operation in a few words: "git checkout main -> feature".
func (o Operation) String() string {
	if o.From == "" || o.To == "" {
		return o.Name
	}
	return o.Name + " " + o.From + " -> " + o.To
}

const (
	gitLock    = "index.lock"
	stashLog   = "logs/refs/stash"
	headLog    = "logs/HEAD"
	maxGitFile = 64 << 10 // of a file in the git folder is read
)

// gitWork are the names in a git folder that change while git moves HEAD or
// the work tree. What a fetch, the collector of garbage, or an editor for a
// message does there is left out.
var gitWork = []string{"HEAD", "HEAD.lock", "index", "ORIG_HEAD", "MERGE_HEAD", "CHERRY_PICK_HEAD",
	"REVERT_HEAD",
	"rebase-merge", "rebase-apply", "sequencer"}

// gitStates are the names that stand in a git folder while an operation is not
// finished, and what it is called.
var gitStates = []struct{ name, operation string }{
	{"rebase-apply/applying", "git am"},
	{"rebase-apply", "git rebase"},
	{"rebase-merge", "git rebase"},
	{"CHERRY_PICK_HEAD", "git cherry-pick"},
	{"REVERT_HEAD", "git revert"},
	{"MERGE_HEAD", "git merge"},
}

// findGit finds the git folder of the work tree that dir lies in, free of
// symlinks; empty when it lies in none. GIT_DIR is not regarded: it says where
// the git of one shell is, and not where those of the user's other programs are.
func findGit(dir string) string {
	for {
		if git := gitFolder(filepath.Join(dir, ".git")); git != "" {
			return git
		}
		up := filepath.Dir(dir)
		if up == dir {
			return ""
		}
		dir = up
	}
}

// gitFolder says which git folder a name .git means: itself, or what the file
// of a linked work tree or a submodule points to; empty when it is neither.
func gitFolder(path string) string {
	info, err := os.Stat(path)
	if err != nil {
		return ""
	}
	if !info.IsDir() {
		target, ok := strings.CutPrefix(readSome(path), "gitdir:")
		if !ok {
			return ""
		}
		if target = strings.TrimSpace(target); !filepath.IsAbs(target) {
			target = filepath.Join(filepath.Dir(path), target)
		}
		path = target
	}
	real, err := filepath.EvalSymlinks(path)
	if err != nil || !exists(filepath.Join(real, "HEAD")) {
		return "" // made by hand, or not finished yet
	}
	return real
}

// facts is what the files of a git folder say at one moment.
type facts struct {
	head   string // content of HEAD
	log    int64  // size of HEAD's log
	stash  stamp  // of the log of stashes
	states []string
}

func factsOf(git string) facts {
	f := facts{head: readSome(filepath.Join(git, "HEAD"))}
	if info, err := os.Stat(filepath.Join(git, headLog)); err == nil {
		f.log = info.Size()
	}
	common := git
	// a linked work tree shares most of its refs
	if rel := readSome(filepath.Join(git, "commondir")); rel != "" {
		if common = rel; !filepath.IsAbs(rel) {
			common = filepath.Join(git, rel)
		}
	}
	if info, err := os.Stat(filepath.Join(common, stashLog)); err == nil {
		f.stash = stampOf(info)
	}
	for _, s := range gitStates {
		if exists(filepath.Join(git, filepath.FromSlash(s.name))) {
			f.states = append(f.states, s.operation)
		}
	}
	return f
}

// operation compares what a git folder said before with what it says now.
func operation(git string, before, now facts) Operation {
	moves := movesSince(git, before.log)
	o := Operation{Name: nameOf(before, now, moves)}
	switch {
	case o.Name == "":
	case before.head != now.head:
		o.From, o.To = headName(before.head), headName(now.head)
	case len(moves) > 0:
		o.From, o.To = short(moves[0].from), short(moves[len(moves)-1].to)
	}
	if o.From == o.To {
		o.From, o.To = "", ""
	}
	return o
}

func nameOf(before, now facts, moves []move) string {
	if before.stash != now.stash {
		return "git stash" // HEAD's log calls it a reset
	}
	for _, m := range slices.Backward(moves) {
		switch m.command {
		case "commit":
			// It takes what is in the work tree, and changes nothing there.
		case "checkout", "switch", "rebase", "merge", "pull", "reset", "cherry-pick", "revert", "am", "clone":
			return "git " + m.command
		default:
			return "git" // an alias, a hook, another program
		}
	}
	for _, s := range now.states {
		if !slices.Contains(before.states, s) {
			return s
		}
	}
	if len(moves) == 0 && before.head != now.head {
		return "git checkout" // without a log
	}
	return ""
}

// move is one line in the log of HEAD.
type move struct {
	from, to string // commits, in full
	command  string // "checkout"
}

// movesSince reads what was added to HEAD's log since it had the given size.
func movesSince(git string, size int64) []move {
	f, err := os.Open(filepath.Join(git, headLog))
	if err != nil {
		return nil // no log is kept, or not yet
	}
	defer f.Close() // only read: closing cannot lose anything
	info, err := f.Stat()
	if err != nil || info.Size() <= size {
		return nil
	}
	from := max(size, info.Size()-maxGitFile)
	data, err := io.ReadAll(io.NewSectionReader(f, from, info.Size()-from))
	if err != nil {
		return nil // the operation goes without a name
	}
	if from > size {
		_, data, _ = bytes.Cut(data, []byte("\n"))
	}
	var moves []move
	for line := range bytes.Lines(data) {
		who, why, ok := strings.Cut(string(line), "\t")
		ids := strings.Fields(who)
		if !ok || len(ids) < 2 {
			continue
		}
		command, _, _ := strings.Cut(why, ":")
		command, _, _ = strings.Cut(command, " ") // "rebase (finish)", "pull origin main"
		moves = append(moves, move{ids[0], ids[1], command})
	}
	return moves
}

// headName says where HEAD points in a few letters.
func headName(head string) string {
	if ref, ok := strings.CutPrefix(head, "ref:"); ok {
		return strings.TrimPrefix(strings.TrimSpace(ref), "refs/heads/")
	}
	return short(head)
}

func short(commit string) string {
	if strings.Trim(commit, "0") == "" {
		return "" // there was none
	}
	return commit[:min(7, len(commit))]
}

// readSome reads a small file, without the space around its content; empty
// when it cannot be read.
func readSome(path string) string {
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close() // only read: closing cannot lose anything
	data, err := io.ReadAll(io.LimitReader(f, maxGitFile))
	if err != nil {
		return ""
	}
	return string(bytes.TrimSpace(data))
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}
