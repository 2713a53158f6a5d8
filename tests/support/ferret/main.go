// A MongoDB-compatible server for tests and trials: FerretDB 1.24 with its SQLite backend, embedded.
//
// usage: ferret --listen 127.0.0.1:27017 --dir DIRECTORY
//
// FerretDB's own command panics when it is built by "go install" (its version must come from its own
// build), so it is a library here. What it lacks compared with MongoDB: docs/storage.md.
package main

import (
	"context"
	"flag"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/FerretDB/FerretDB/ferretdb"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:27017", "address and port")
	dir := flag.String("dir", "", "where the SQLite files are; must exist")
	flag.Parse()
	logger := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	if *dir == "" || flag.NArg() != 0 {
		logger.Error("--dir DIRECTORY is needed; no other arguments")
		os.Exit(2)
	}

	// synchronous(normal): a killed server loses nothing, a power cut may lose the last moments.
	f, err := ferretdb.New(&ferretdb.Config{
		Logger:    logger,
		Listener:  ferretdb.ListenerConfig{TCP: *listen},
		Handler:   "sqlite",
		SQLiteURL: "file:" + strings.TrimSuffix(*dir, "/") + "/?_pragma=synchronous(normal)",
	})
	if err != nil {
		logger.Error("cannot start", "error", err)
		os.Exit(1)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := f.Run(ctx); err != nil {
		logger.Error("stopped", "error", err)
		os.Exit(1)
	}
}
