// The same order in goroutines: three steps in parallel under one context, the first failure cancels the rest, an
// atomic tracker counts what runs. Standard library only, so that it builds with nothing from anywhere.
//
//	go run main.go -storm 5s      in process, 64 orders at a time: payment fails after 5 ms, siblings would take 800 ms
//	go run main.go -listen :0     POST /order over HTTP
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

var running, started, finished int64

var stepNames = [3]string{"payment", "vendor", "courier"}

type order struct {
	OrderID  string         `json:"order_id"`
	Amount   int64          `json:"amount"`
	FailStep string         `json:"fail_step"`
	DelayMs  map[string]int `json:"delay_ms"`
}

type stepAnswer struct {
	Name       string `json:"name"`
	Status     string `json:"status"`
	DurationMs int64  `json:"duration_ms"`
	Detail     string `json:"detail,omitempty"`
}

type failure struct {
	Kind    string `json:"kind"`
	Message string `json:"message"`
}

type answer struct {
	Status  string       `json:"status"`
	OrderID string       `json:"order_id"`
	Steps   []stepAnswer `json:"steps"`
	Error   *failure     `json:"error,omitempty"`
}

var errFailed = errors.New("step failed")

func step(ctx context.Context, o *order, name string) error {
	atomic.AddInt64(&running, 1)
	atomic.AddInt64(&started, 1)
	defer func() {
		atomic.AddInt64(&running, -1)
		atomic.AddInt64(&finished, 1)
	}()
	if delay := o.DelayMs[name]; delay > 0 {
		timer := time.NewTimer(time.Duration(delay) * time.Millisecond)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if o.FailStep == name {
		return errFailed
	}
	return ctx.Err()
}

func run(parent context.Context, o *order) answer {
	ctx, cancel := context.WithTimeout(parent, 2*time.Second)
	defer cancel()
	begin := time.Now()
	result := answer{Status: "ok", OrderID: o.OrderID, Steps: make([]stepAnswer, len(stepNames))}
	var group sync.WaitGroup
	var first sync.Once
	for i, name := range stepNames {
		group.Add(1)
		go func(i int, name string) {
			defer group.Done()
			err := step(ctx, o, name)
			report := stepAnswer{Name: name, Status: "ok", DurationMs: time.Since(begin).Milliseconds()}
			switch {
			case errors.Is(err, errFailed):
				report.Status, report.Detail = "error", name
			case err != nil:
				report.Status, report.Detail = "canceled", err.Error()
			}
			result.Steps[i] = report
			if err != nil {
				first.Do(func() {
					result.Status, result.Error = "error", &failure{Kind: name, Message: "order failed"}
					cancel()
				})
			}
		}(i, name)
	}
	group.Wait()
	return result
}

func storm(length time.Duration) {
	o := &order{OrderID: "storm", Amount: 1, FailStep: "payment", DelayMs: map[string]int{"payment": 5, "vendor": 800, "courier": 800}}
	var orders int64
	var clients sync.WaitGroup
	begin := time.Now()
	for c := 0; c < 64; c++ {
		clients.Add(1)
		go func() {
			defer clients.Done()
			for time.Since(begin) < length {
				run(context.Background(), o)
				atomic.AddInt64(&orders, 1)
			}
		}()
	}
	clients.Wait()
	fmt.Printf("{\"ordersPerSecond\":%.0f,\"running\":%d,\"started\":%d,\"finished\":%d}\n",
		float64(orders)/time.Since(begin).Seconds(), running, started, finished)
}

func place(w http.ResponseWriter, r *http.Request) {
	var o order
	decoder := json.NewDecoder(http.MaxBytesReader(w, r.Body, 16<<10))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&o); err != nil || o.OrderID == "" || o.Amount < 1 {
		http.Error(w, "bad request", http.StatusBadRequest)
		return
	}
	result := run(r.Context(), &o)
	w.Header().Set("Content-Type", "application/json")
	if result.Error != nil {
		w.WriteHeader(http.StatusBadRequest)
	}
	json.NewEncoder(w).Encode(result)
}

func main() {
	length := flag.Duration("storm", 0, "run a storm in process for so long")
	listen := flag.String("listen", "", "serve POST /order on this address")
	flag.Parse()
	if *length > 0 {
		storm(*length)
		return
	}
	http.HandleFunc("/order", place)
	listener, err := net.Listen("tcp", *listen)
	if err != nil {
		panic(err)
	}
	fmt.Printf("API    http://%s\n", listener.Addr())
	panic(http.Serve(listener, nil))
}
