package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"
)

// drain is how long a stopping server goes on answering what has already arrived.
const drain = 5 * time.Second

// ports is a flag that may be given several times.
type ports []int

func (p *ports) String() string { return fmt.Sprint(*p) }

func (p *ports) Set(text string) error {
	port, err := strconv.Atoi(text)
	if err != nil || port < 1 || port > 65535 {
		return fmt.Errorf("%q is not a port (1-65535)", text)
	}
	*p = append(*p, port)
	return nil
}

// answer is what an echo says: who answered (from the environment, set by the pod's manifest) and what
// arrived from where.
type answer struct {
	Pod     string              `json:"pod"`
	Node    string              `json:"node"`
	Address string              `json:"address"`
	Client  string              `json:"client"`
	Host    string              `json:"host,omitempty"`
	Method  string              `json:"method,omitempty"`
	Path    string              `json:"path,omitempty"`
	Headers map[string][]string `json:"headers,omitempty"`
	Data    string              `json:"data,omitempty"`
}

func self() answer {
	return answer{Pod: os.Getenv("POD_NAME"), Node: os.Getenv("NODE_NAME"), Address: os.Getenv("POD_IP")}
}

// serve answers until it is told to stop. Without flags: HTTP on 8080, UDP on 8081.
func serve(arguments []string) error {
	var web, datagram ports
	flags := flag.NewFlagSet("serve", flag.ExitOnError)
	flags.Var(&web, "http", "TCP port that answers HTTP; may be repeated")
	flags.Var(&datagram, "udp", "UDP port that answers; may be repeated")
	if err := flags.Parse(arguments); err != nil {
		return err
	}
	if len(web)+len(datagram) == 0 {
		web, datagram = ports{8080}, ports{8081}
	}

	stop, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer cancel()
	failed := make(chan error, len(web)+len(datagram))
	routes := http.NewServeMux()
	routes.HandleFunc("/healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	routes.HandleFunc("/", echo)
	var servers []*http.Server
	for _, port := range web {
		server := &http.Server{Addr: fmt.Sprintf(":%d", port), Handler: routes, ReadHeaderTimeout: 10 * time.Second}
		servers = append(servers, server)
		go func() { failed <- server.ListenAndServe() }()
	}
	for _, port := range datagram {
		connection, err := net.ListenPacket("udp", fmt.Sprintf(":%d", port))
		if err != nil {
			return err
		}
		defer connection.Close()
		go func() { failed <- echoDatagrams(connection) }()
	}

	select {
	case err := <-failed:
		return err
	case <-stop.Done():
	}
	ending, end := context.WithTimeout(context.Background(), drain)
	defer end()
	var problems []error
	for _, server := range servers {
		problems = append(problems, server.Shutdown(ending))
	}
	return errors.Join(problems...)
}

func echo(w http.ResponseWriter, r *http.Request) {
	said := self()
	said.Client, said.Host, said.Method, said.Path, said.Headers = r.RemoteAddr, r.Host, r.Method, r.URL.RequestURI(), r.Header
	w.Header().Set("Content-Type", "application/json")
	// The client may be gone; there is nobody left to tell.
	_ = json.NewEncoder(w).Encode(said)
}

func echoDatagrams(connection net.PacketConn) error {
	buffer := make([]byte, 2048)
	for {
		size, client, err := connection.ReadFrom(buffer)
		if err != nil {
			return err
		}
		said := self()
		said.Client, said.Data = client.String(), string(buffer[:size])
		text, err := json.Marshal(said)
		if err != nil {
			return err
		}
		_, _ = connection.WriteTo(text, client)
	}
}
