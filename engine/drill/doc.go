// Package drill puts a fault on each service of a project in turn, observes everybody else, and
// comes to a verdict for each. It owns the observation (probes, requests, log lines, health and
// identity), the statistics that tell trouble from noise, the matrix and its reports. It knows no
// runtime and no screen: what it needs of a project is the interface Subject, which the engine
// implements, and the engine alone calls it.
package drill
