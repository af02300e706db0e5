package cli

import (
	"encoding/json"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/pflag"
)

// pluginName is the program's name in the docker command's folder of plugins: `docker bulkhead` runs it.
const pluginName = "docker-bulkhead"

// Plugin is what the docker command has a plugin do.
type Plugin struct {
	Args []string // for Main
	// Env are the variables that stand for the docker command's own flags; an empty value unsets one.
	Env map[string]string
	// Metadata is to be printed in the place of a run; nil: there is a run.
	Metadata []byte
}

// AsPlugin reads the arguments of a program that the docker command has started: its own flags, then
// the plugin's name, then ours. ok is false for a program that was started by itself.
func AsPlugin(program string, args []string) (p Plugin, ok bool) {
	if strings.TrimSuffix(filepath.Base(program), ".exe") != pluginName || len(args) == 0 {
		return p, false
	}
	switch args[0] {
	case "docker-cli-plugin-metadata":
		p.Metadata, _ = json.Marshal(map[string]string{ // of strings: it cannot fail
			"SchemaVersion": "0.1.0", "Vendor": "bulkhead", "Version": readBuild().Version,
			"ShortDescription": "Run a Compose project on a screen, rebuilt when its files change",
		})
		return p, true
	case "__complete", "__completeNoDesc":
		if len(args) > 1 && args[1] == "bulkhead" {
			args = slices.Concat(args[:1], args[2:])
		}
		p.Args = args
		return p, true
	}
	var host, context, config, ca, cert, key, level string
	var verify, tls, debug bool
	fs := pflag.NewFlagSet("docker", pflag.ContinueOnError)
	fs.SetInterspersed(false)
	fs.SetOutput(io.Discard)
	fs.StringVarP(&host, "host", "H", "", "")
	fs.StringVarP(&context, "context", "c", "", "")
	fs.StringVar(&config, "config", "", "")
	fs.BoolVar(&tls, "tls", false, "")
	fs.BoolVar(&verify, "tlsverify", false, "")
	fs.StringVar(&ca, "tlscacert", "", "")
	fs.StringVar(&cert, "tlscert", "", "")
	fs.StringVar(&key, "tlskey", "", "")
	fs.StringVarP(&level, "log-level", "l", "", "")
	fs.BoolVarP(&debug, "debug", "D", false, "")
	if fs.Parse(args) != nil || fs.Arg(0) != "bulkhead" {
		return p, false // called by hand under this name
	}
	p.Args, p.Env = fs.Args()[1:], map[string]string{}
	set := func(key, value string) {
		if value != "" {
			p.Env[key] = value
		}
	}
	set("DOCKER_CONFIG", config)
	switch { // what is written on the command line wins over the other one's variable
	case host != "":
		p.Env["DOCKER_HOST"], p.Env["DOCKER_CONTEXT"] = host, ""
	case context != "":
		p.Env["DOCKER_CONTEXT"], p.Env["DOCKER_HOST"] = context, ""
	}
	if verify {
		p.Env["DOCKER_TLS_VERIFY"] = "1"
	}
	for _, file := range []string{ca, cert, key} { // docker keeps the three in one folder
		if file != "" {
			set("DOCKER_CERT_PATH", filepath.Dir(file))
		}
	}
	return p, true
}

// EndWithDocker ends this program as a SIGTERM does when the docker command that started it closes the
// socket at addr, by which it says so. "" does nothing.
func EndWithDocker(addr string) {
	if addr == "" {
		return
	}
	c, err := net.Dial("unix", addr)
	if err != nil {
		return // an older docker command leaves its plugins alone
	}
	go func() {
		defer c.Close()
		_, _ = c.Read(make([]byte, 1)) // it never writes: this is its end
		if self, err := os.FindProcess(os.Getpid()); err == nil {
			_ = self.Signal(syscall.SIGTERM) // where that cannot be done, the terminal's signal comes
		}
	}()
}
