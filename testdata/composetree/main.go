// Composetree prints the verbs and flags of docker compose, as its --help has them: a line for each
// flag with its verb ("" for the flags of all), name, shorthand and kind of value ("bool" for none).
// tree.txt is its output for docker compose 5.7.0:
//
//	go run ./testdata/composetree docker compose >testdata/composetree/tree.txt
package main

import (
	"bufio"
	"bytes"
	"fmt"
	"log"
	"os"
	"os/exec"
	"regexp"
	"strings"
)

var (
	verbLine = regexp.MustCompile(`^  ([a-z]+) {2,}`)
	flagLine = regexp.MustCompile(`^ +(?:-(\w), )?--([a-z-]+)(?: ([a-zA-Z0-9]+))?(?: {2,}|$)`)
)

func main() {
	if len(os.Args) < 2 {
		log.Fatal("usage: composetree COMMAND…, as docker compose")
	}
	verbs := flags("")
	for _, v := range verbs {
		flags(v)
	}
}

// flags prints the flags of a verb and returns the verbs below it.
func flags(verb string) (verbs []string) {
	args := append(append([]string{}, os.Args[2:]...), verb, "--help")
	if verb == "" {
		args = append(append([]string{}, os.Args[2:]...), "--help")
	}
	out, err := exec.Command(os.Args[1], args...).CombinedOutput()
	if err != nil {
		log.Fatalf("%s --help: %v\n%s", verb, err, out)
	}
	listing := false
	for s := bufio.NewScanner(bytes.NewReader(out)); s.Scan(); {
		line := s.Text()
		if strings.HasSuffix(line, ":") {
			listing = strings.Contains(line, "Commands")
		}
		if m := verbLine.FindStringSubmatch(line); m != nil && listing {
			verbs = append(verbs, m[1])
		}
		if m := flagLine.FindStringSubmatch(line); m != nil && !listing {
			if verb != "" && m[2] == "dry-run" {
				continue // it is one of all verbs
			}
			kind := m[3]
			if kind == "" {
				kind = "bool"
			}
			fmt.Printf("%s\t%s\t%s\t%s\n", verb, m[2], m[1], kind)
		}
	}
	if verb != "" {
		return nil
	}
	for _, v := range verbs {
		fmt.Printf("%s\n", v)
	}
	return verbs
}
